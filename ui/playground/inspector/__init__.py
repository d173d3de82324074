"""The inspector of the Playground: the forms of one step and the values it used."""
