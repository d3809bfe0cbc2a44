"""The backends that come with tracelet, the interface of all of them, and how they are found."""
