"""Files on disk: archives of arrays, and how a new file takes the place of an old one."""
