"""A made-up site: who is there (`places`), what they do hour by hour (`traffic`), and its Zeek logs (`logs`).

Everything is drawn from stated distributions with one seed: the same site always writes the same logs.
"""
