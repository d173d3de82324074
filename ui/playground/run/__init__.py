"""The Run panel: the input, Run and Stop, the steps as they happen, the values of each item."""
