// PhoneServer
