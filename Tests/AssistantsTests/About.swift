// Assistants
