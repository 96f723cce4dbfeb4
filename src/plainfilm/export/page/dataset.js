// Nothing on this page moves; the policy admits this script alone.
