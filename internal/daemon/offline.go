package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"netbootd/bootmenu"
	"netbootd/internal/boottree"
	"netbootd/internal/control"
	"netbootd/internal/images"
	"netbootd/internal/loaders"
)

// An offline is what a daemon that started now would hold, for questions that are
// answered without one. Close it.
type offline struct {
	profiles map[string]*profile
	set      *loaders.Set
	assigned *assignments
	catalog  *bootmenu.Catalog // of the profiles that would be started
	tree     *boottree.Tree    // nil if the images cannot be read
	store    *images.Store
	unread   error // why they cannot
}

// openOffline reads the state, the loaders and, if it is there, the images directory.
func openOffline(s Settings, p Plan) (*offline, error) {
	p = p.settled()
	started, err := newStartedFile(s.State).Load()
	if err != nil {
		return nil, err
	}
	started = started.at(time.Now())
	assigned, err := openAssignments(newAssignmentsFile(s.State), time.Now)
	if err != nil {
		return nil, err
	}
	o := &offline{profiles: make(map[string]*profile), assigned: assigned, set: loaders.Scan(s.LoaderDirs)}
	for name, problems := range p.Broken {
		o.profiles[name] = &profile{problems: problems}
	}
	for _, good := range p.Profiles {
		o.profiles[good.Name] = &profile{Profile: good, started: started.wants(good)}
	}
	o.catalog = bootmenu.NewCatalog(o.which(true), o.set.Preferred(), s.Menu, o.idle()...)
	if o.store, o.unread = images.Open(s.Images); o.unread != nil {
		return o, nil
	}
	o.tree = boottree.New(boottree.Options{Images: o.store, Links: &boottree.Links{}, Assigned: assigned.of})
	o.tree.SetPlan(o.catalog, o.set)
	return o, nil
}

// Close gives the images directory back.
func (o *offline) Close() {
	if o.store != nil {
		_ = o.store.Close() // it was only read
	}
}

// which are the good profiles that would be started, or would not.
func (o *offline) which(started bool) []*bootmenu.Profile {
	var list []*bootmenu.Profile
	for _, p := range o.profiles {
		if p.Profile != nil && p.started == started {
			list = append(list, p.Profile)
		}
	}
	return list
}

// idle are the names of profiles that would not be started, broken ones too.
func (o *offline) idle() (names []string) {
	for name, p := range o.profiles {
		if !p.started {
			names = append(names, name)
		}
	}
	return names
}

// unreadNote says that files were not looked at.
func (o *offline) unreadNote() string {
	return fmt.Sprintf("the files of profiles were not looked at: %v", o.unread)
}

// Profiles tells how the profiles would stand in a daemon that started now.
func Profiles(s Settings, p Plan) ([]control.Profile, error) {
	o, err := openOffline(s, p)
	if err != nil {
		return nil, err
	}
	defer o.Close()
	var list []control.Profile
	var survey *boottree.Survey // none if the images cannot be read
	if o.tree != nil {
		survey = o.tree.Survey()
	}
	for _, name := range slices.Sorted(maps.Keys(o.profiles)) {
		one := o.profiles[name]
		status := profileStatus(survey, name, one, one.started)
		if o.unread != nil {
			status.Notes = append(status.Notes, o.unreadNote())
		}
		list = append(list, status)
	}
	return list, nil
}

// ShowProfile tells what a profile would give to its machines in a daemon that
// started now.
func ShowProfile(s Settings, p Plan, name string) (control.ProfileView, error) {
	o, err := openOffline(s, p)
	if err != nil {
		return control.ProfileView{}, err
	}
	defer o.Close()
	one, ok := o.profiles[name]
	switch {
	case !ok:
		return control.ProfileView{}, unknownProfile(name, o.profiles)
	case o.unread != nil:
		return control.ProfileView{}, &StartError{fmt.Errorf("images directory: %w", o.unread), "netbootd run makes it; or name another with images in netbootd.toml"}
	}
	return profileView(o.tree, name, one, one.started), nil
}
