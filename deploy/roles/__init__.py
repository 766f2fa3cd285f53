"""One module a role, each importing only what that role needs: a host installs no more than the roles it runs."""
