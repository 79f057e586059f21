// MediaDialects
