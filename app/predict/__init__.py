"""The Predict tab: what a study's networks say of photographs."""
