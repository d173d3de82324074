"""The pages: what people see in the browser. It shows what `engine` and `storage` know and changes things through actions only."""
