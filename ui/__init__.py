"""The pages that people see in the browser.

They read through `engine` and `storage` and change data by actions only.
"""
