"""Grey values: what images look like, and how those unlike what a detector has learnt from are adapted."""
