"""How the project is installed and run: environment, PostgreSQL, process trees."""
