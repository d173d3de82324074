"""The inspector of the Playground: forms for the selected node or connection, and its values in the last run."""
