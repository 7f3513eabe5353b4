"""Where answers come from over HTTP: one file a kind of provider."""
