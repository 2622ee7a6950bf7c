"""What is wrong with a data set, found before a model learns it: shortcuts, copies, odd images."""
