"""The networks as OpenVINO graphs, built from stored weights op by op, and what compiles and runs them."""
