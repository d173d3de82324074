"""Everything outside this process: other web servers, language models and the evaluators' sandbox."""
