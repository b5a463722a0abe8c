package source

func parseSFTP(string) (place, bool, error) { return nil, false, nil }
