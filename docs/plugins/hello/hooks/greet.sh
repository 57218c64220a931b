#!/bin/sh
echo "hello from a hook"
