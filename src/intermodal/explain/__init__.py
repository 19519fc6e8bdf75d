"""Who attended to whom, and what each modality was worth."""
