"""A sender a file, of the name that it has in `jobs: {senders: ...}`: mail, WhatsApp messages, webhooks, other channels."""
