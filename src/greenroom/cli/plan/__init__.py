"""`greenroom plan`: a launch rehearsed in virtual time, to choose a budget by."""
