"""What Flowport keeps: the only place that knows SQL. One query file per noun; verbs live in `engine/actions`."""
