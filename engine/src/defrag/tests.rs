//! Rules of reassembly, each as the running kernel answered it.
