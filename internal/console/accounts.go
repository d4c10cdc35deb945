package console

import "net/http"

func (c *Console) accountRoutes() []route {
	return []route{{"GET /accounts", accounts, c.accountsPage}}
}

// accountsPage lists who may sign in. They are changed by `stanch user`.
func (c *Console) accountsPage(w http.ResponseWriter, r *http.Request, u User) {
	all, err := c.Users.List()
	if err != nil {
		c.fail(w, r, u, err)
		return
	}
	c.render(w, r, http.StatusOK, "accounts", struct {
		frame
		All []User
	}{c.frame(r, u, "Accounts"), all})
}
