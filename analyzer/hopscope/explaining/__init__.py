"""What is told with a finding by `hopscope explain`: `counterfactuals` what would change it, `comparing` which ordinary
destination is most like it, `beside` all of it together. Nothing is imported here: `--help` loads no engine."""
