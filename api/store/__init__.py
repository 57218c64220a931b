"""The api's SQL, by what it is about. Every method raises DatabaseUnavailable when it cannot be asked."""
