"""Network → what each device gets: configurations, names, the Ansible inventory; and the proof that reads them back."""
