"""How every page looks and speaks: the frame, small parts, toasts and dialogs, code and values, words and times."""
