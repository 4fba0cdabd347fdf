"""Files on disk: archives of arrays, and the replacement of files."""
