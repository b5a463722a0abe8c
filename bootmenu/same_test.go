package bootmenu

import (
	"reflect"
	"testing"
)

// IsSame looks at every field: of two decisions that differ in one, it says so.
func TestIsSameLooksAtEveryField(t *testing.T) {
	t.Parallel()
	var d Decision
	if !d.IsSame(&d) {
		t.Error("a decision is not the same as itself")
	}
	var differ func(path string, field func(*Decision) reflect.Value)
	differ = func(path string, field func(*Decision) reflect.Value) {
		v := field(new(Decision))
		if v.Kind() == reflect.Struct {
			for i := range v.NumField() {
				differ(path+"."+v.Type().Field(i).Name, func(d *Decision) reflect.Value { return field(d).Field(i) })
			}
			return
		}
		var o Decision
		v = field(&o)
		v = reflect.NewAt(v.Type(), v.Addr().UnsafePointer()).Elem() // also what is not exported
		switch v.Kind() {
		case reflect.String:
			v.SetString("x")
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		case reflect.Map:
			v.Set(reflect.MakeMap(v.Type()))
		case reflect.Int, reflect.Int64:
			v.SetInt(1)
		case reflect.Uint16, reflect.Uint64:
			v.SetUint(1)
		default:
			t.Fatalf("%s is a %s, which this test knows nothing of", path, v.Kind())
		}
		if d.IsSame(&o) {
			t.Errorf("%s is not looked at", path)
		}
	}
	differ("Decision", func(d *Decision) reflect.Value { return reflect.ValueOf(d).Elem() })
}
