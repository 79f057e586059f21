// EventSocket
