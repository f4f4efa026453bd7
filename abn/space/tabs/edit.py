ASKS = {}
