"""Raw files of cameras: developed to pictures, or written back as linear DNG."""
