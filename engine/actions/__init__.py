"""Every verb that changes state. A verb is a function on a Session; one verb is one transaction; saying no rolls it back."""
