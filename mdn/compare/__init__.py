"""Pictures side by side: the page of `mdn compare` and the sheet of `mdn denoise --preview`."""
