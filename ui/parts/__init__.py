"""Parts of pages that two or more areas show: the job table, the key form, charts, quota notes, time ranges."""
