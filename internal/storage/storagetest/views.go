package storagetest

var viewTests = []test{}
