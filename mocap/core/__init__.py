"""Nouns: frozen, validated types. numpy only."""
