"""PDFs, office documents, e-books and zip archives."""
