"""Photo formats: PNG, JPEG, WebP and BMP, and the EXIF that they carry."""
