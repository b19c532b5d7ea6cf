"""What every block stands on: errors, time, flows, grammar, secrets, observation.

Private: blocks re-export what their users need.
"""
