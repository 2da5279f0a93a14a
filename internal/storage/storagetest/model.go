package storagetest

var modelTests = []test{}
