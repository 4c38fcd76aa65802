"""What happened to uploads, in a database: kept longer than their journals."""
