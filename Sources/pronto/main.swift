print("pronto")
