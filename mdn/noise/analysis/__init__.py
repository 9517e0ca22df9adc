"""What can be measured of the noise of a picture, without a net."""
