"""The Run panel of the Playground: input, run controls, steps, log, comparison and batches."""
