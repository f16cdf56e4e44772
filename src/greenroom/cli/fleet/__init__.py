"""The commands of launches that outlive their host: `greenroom worker` and `greenroom fleet`."""
