"""Making the environments of this project. Standard library only: it runs before anything is installed."""
