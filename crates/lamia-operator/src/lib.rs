//! lamia-operator
