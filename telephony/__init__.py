"""Carriers: the sans-IO stream protocol, the Twilio edge, and a local simulator. Knows no pipeline."""
